"""Where the framework's memory is kept, behind a small port."""
