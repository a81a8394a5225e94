"""What people look at: the dashboard's pages and the reports. They read, and never decide."""
