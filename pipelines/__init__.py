"""Everything that runs without a screen: from a CRM export to a published edition."""
