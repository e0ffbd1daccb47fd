"""What helps users to test their own code that calls people."""
