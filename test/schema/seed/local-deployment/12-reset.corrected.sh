# Drop the tables with their rows, the views and the functions; archives, extensions and roles stay
trace-console schema reset --yes

# Redeploy
trace-console schema apply --yes
