"""Beyond one machine: stations at the edge, workers on Kafka."""
