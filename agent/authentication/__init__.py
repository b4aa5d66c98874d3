"""Who inbound mail is really from: SPF, DKIM and DMARC."""
