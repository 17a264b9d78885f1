package cpu

// chunk is the number of elements that one task of an elementwise operation handles: two
// operands of this size fit the first-level cache, and the work is long enough to
// outweigh the cost of handing out a task.
const chunk = 4096

// chunks returns the number of tasks for n elements.
func chunks(n int) int { return (n + chunk - 1) / chunk }

// span returns the elements of task i: [from, to).
func span(i, n int) (from, to int) {
	from = i * chunk
	return from, min(from+chunk, n)
}
