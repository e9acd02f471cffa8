"""Platform descriptions, one data file each."""
