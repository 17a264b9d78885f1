package cpu

// chunk is the number of elements that one task of an elementwise operation handles: it
// fits the first-level cache with room for two operands, and is long enough to pay for
// being handed out.
const chunk = 4096

// chunks returns the number of tasks for n elements.
func chunks(n int) int { return (n + chunk - 1) / chunk }

// span returns the elements of task i: [from, to).
func span(i, n int) (from, to int) {
	from = i * chunk
	return from, min(from+chunk, n)
}
