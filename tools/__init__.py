"""What only this repository needs: training what ships, writing its cards, making the samples."""
