"""What a drill leaves: its report, in words and files, compared, kept."""
