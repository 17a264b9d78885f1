// Package tune chooses settings of a training.
//
//   - RangeTest is the learning-rate range test: a short training whose rate grows until the loss explodes.
//   - Space is a search space, Space.Trials draws settings from it, and Random and Halving are the two strategies: which
//     trials train for how many epochs, and which of them go on.
//
// The package draws, counts and compares; it neither trains the trials nor writes files. Everything is a function of its
// arguments, so that a search that was killed continues with the same trials.
package tune
