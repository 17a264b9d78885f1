package devicetest

import "trainer/nn/device"

// refTranspose returns y[n,j,i] = x[n,i,j].
func refTranspose(s device.TransposeSpec, x []float64) sums {
	y := newSums(len(x), 0)
	for k, v := range x {
		n, i, j := k/(s.M*s.N), k/s.N%s.M, k%s.N
		y.set((n*s.N+j)*s.M+i, v, 0)
	}
	return y
}

// refGather returns y[i] = x[ids[i]], rows of zeros where that is no row of x.
func refGather(s device.GatherSpec, x []float64, ids []int32) sums {
	y := newSums(len(ids)*s.RowLen, 0)
	for i, id := range ids {
		for j := 0; j < s.RowLen && id >= 0 && int(id) < s.XRows; j++ {
			y.set(i*s.RowLen+j, x[int(id)*s.RowLen+j], 0)
		}
	}
	return y
}

// refCopyColumns returns y with y[i, YFrom+j] = x[i, XFrom+j].
func refCopyColumns(s device.CopyColumnsSpec, y, x []float64) sums {
	out := newSums(len(y), 0)
	for i, v := range y {
		out.set(i, v, 0)
		if j := i%s.YC - s.YFrom; j >= 0 && j < s.Width {
			out.set(i, x[i/s.YC*s.XC+s.XFrom+j], 0)
		}
	}
	return out
}
