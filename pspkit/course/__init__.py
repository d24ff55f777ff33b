"""What only the course uses: figures, explorers, checkers, and the pages made of the notebooks."""
