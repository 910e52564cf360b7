"""What packaging/build is made of: one file a format, and the parts that the formats share."""
