"""What runs the steps, again and again."""
