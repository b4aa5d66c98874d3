"""The records that a fleet needs, as each RFC wants them. Pure: values in, values out."""
