"""Solutions of notebook 07."""

notices = {"exchanged once": False, "exchanged anew": True, "range": False, "average": False}

diagnosis = {"A": "too few pictures", "B": "healthy", "C": "stopped too early", "D": "rate too high"}
