"""What several tests share: builders of objects, and a way to run the command line."""
