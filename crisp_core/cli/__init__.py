"""Program `crisp`: picking, training, maps and report from the command line, without a config file."""
