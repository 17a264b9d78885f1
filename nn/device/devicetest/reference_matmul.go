package devicetest

// refMatMul returns C = op(A) op(B) + bias, with op(A) [m,k] and op(B) [k,n]:
//
//	c[i,j] = bias[j] + sum_l op(a)[i,l] op(b)[l,j]
//
// bias may be nil.
func refMatMul(m, n, k int, transA, transB bool, a, b, bias []float64) sums {
	c := newSums(m*n, sumUlps(k+1)).withBias(bias != nil)
	for i := 0; i < m; i++ {
		for j := 0; j < n; j++ {
			for l := 0; l < k; l++ {
				ai, bi := i*k+l, l*n+j
				if transA {
					ai = l*m + i
				}
				if transB {
					bi = j*k + l
				}
				c.add(i*n+j, a[ai]*b[bi])
			}
			if bias != nil {
				c.addBias(i*n+j, bias[j])
			}
		}
	}
	return c
}

// refMatMulBatch returns the products of a batch.
func refMatMulBatch(batch, m, n, k int, transA, transB bool, a, b, bias []float64) sums {
	all := refMatMul(m, n, k, transA, transB, a, b, bias)
	for i := 1; i < batch; i++ {
		c := refMatMul(m, n, k, transA, transB, a[i*m*k:], b[i*k*n:], bias)
		all.value, all.magnitude = append(all.value, c.value...), append(all.magnitude, c.magnitude...)
		if bias != nil {
			all.rounded = append(all.rounded, c.rounded...)
		}
	}
	return all
}
