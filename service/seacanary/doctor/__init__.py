"""The doctor: everything that can be wrong with a station, an edge or a worker, looked at and told with its remedy."""
