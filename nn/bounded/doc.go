// Package bounded reads files that strangers made: recipes, configurations, data sets, archives, checkpoints. Such a file
// may be a pipe that never ends, or ask for more memory than the machine has. The functions here bound both:
//
//   - [Open] opens regular files only. A named pipe, a device or a socket is refused at once, because a read of it may
//     never return.
//   - [ReadFile], [ReadAll] and [Reader] end with a [*LimitError] after a number of bytes.
//   - [Gunzip] and [Tar] bound what a compressed file expands to: reading n bytes costs at most [Budget](n) bytes.
//   - [Context] ends a read when the program is asked to stop.
//
// No header is believed beyond these limits.
package bounded
