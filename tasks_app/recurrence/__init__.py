"""When a schedule is due: cron expressions on the clocks of time zones. No Django."""
