"""What several answers are printed with."""
