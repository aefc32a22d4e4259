"""From sessions to a data set: examples, checks, splits, files, card and trace."""
