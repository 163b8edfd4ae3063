"""Settings: what they mean (`schema`) and how files become them (`load`)."""
