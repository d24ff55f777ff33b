"""Networks: backbone, encoders and decoders of pSp; in `faces`, those that find and measure faces."""
