// Package memlimit tells how much memory this process can still get. Go's allocator ends the program with a dump of all
// goroutines if the system refuses memory, and the system kills a process whose pages can't be had; so whoever is about
// to allocate much asks first.
package memlimit

// Available returns the number of bytes that the process can still get: the least of the machine's available memory,
// what the control groups (version 1 or 2) around the process leave, and the process's own limits (ulimit -v and -d). ok
// is false if the system reports none of them. Memory that other processes take later is not foreseen.
func Available() (bytes int64, ok bool) { return available() }
