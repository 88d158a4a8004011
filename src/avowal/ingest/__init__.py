"""Read logs, syslog and journals into the store, each line once."""
