"""Networks: backbone, encoders, the two decoders and the identity networks."""
