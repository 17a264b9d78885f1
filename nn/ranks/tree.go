package ranks

// sumTree adds the parts of all ranks, [ranks][n], into the first, in the order of device.AllReduceSpec: the distance of
// the neighbours that are added doubles from level to level.
//
//	level 1:  0 += 1   2 += 3   4 += 5   6
//	level 2:  0 += 2            4 += 6
//	level 3:  0 += 4
func sumTree(parts [][]float32) {
	for distance := 1; distance < len(parts); distance *= 2 {
		for i := 0; i+distance < len(parts); i += 2 * distance {
			left, right := parts[i], parts[i+distance]
			for k, x := range right {
				left[k] += x
			}
		}
	}
}

// Divides reports whether a number of ranks can share a number of parts so that the parts of each rank are a node of the
// tree over all parts: the results then don't depend on the number of ranks.
func Divides(ranks, parts int) bool {
	if ranks < 1 || parts < 1 || parts%ranks != 0 {
		return false
	}
	each := parts / ranks
	return ranks == 1 || each&(each-1) == 0
}
