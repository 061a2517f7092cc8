"""What operators look at and do: the journal of everything, offers of names, taking back."""
