package nn

import (
	"slices"
	"testing"

	"trainer/nn/device"
)

// TestBuckets: the sums have the same bits with buckets of any size, each bucket is complete when it is reported, and every
// sum is in one bucket.
func TestBuckets(t *testing.T) {
	r := newShardRig(t, []int{2, 3, 2, 3})
	whole := r.compile(t, CrossEntropy{}, 4, false)
	for batch := range 2 {
		for k := range 4 {
			r.shard(t, whole, k)
		}
		if batch == 0 {
			whole.EndBatch()
		}
	}
	want := map[int][]float32{}
	for i, x := range whole.ShardSums() {
		want[i] = r.download(t, x)
	}
	for _, c := range []struct{ bytes, buckets int }{{1, 4}, {40, 3}, {1 << 20, 1}} { // dense: 396 bytes, norm: 16, conv: 80
		n := r.compile(t, CrossEntropy{}, 4, false)
		var sums [][]*device.Tensor
		var reported []int
		var inBackward int
		batch := 0
		sums, err := n.OnBucket(c.bytes, func(bucket int) {
			reported = append(reported, bucket)
			for _, x := range sums[bucket] {
				i := slices.Index(n.ShardSums(), x)
				if got := r.download(t, x); batch == 1 && !slices.Equal(got, want[i]) {
					t.Errorf("%d bytes: sum %d in bucket %d is %v, want %v", c.bytes, i, bucket, got, want[i])
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if total := len(slices.Concat(sums...)); len(sums) != c.buckets || total != len(n.ShardSums()) {
			t.Fatalf("%d bytes: %d buckets with %d sums, want %d with %d", c.bytes, len(sums), total, c.buckets, len(n.ShardSums()))
		}
		for ; batch < 2; batch++ {
			reported = nil
			for k := range 4 {
				if err := n.BeginShard(r.sizes[k], len(r.labels), len(r.labels)); err != nil {
					t.Fatal(err)
				}
				r.pass(t, n, k)
				if inBackward = len(reported); k < 3 && inBackward > 0 {
					t.Errorf("%d bytes: buckets %v are complete after shard %d", c.bytes, reported, k)
				}
				n.EndShard()
			}
			if inBackward != c.buckets-1 || !slices.Equal(reported, []int{0, 1, 2, 3}[:c.buckets]) {
				t.Errorf("%d bytes: buckets %v, %d in the backward pass, want %d in order, all but the last in it", c.bytes, reported, inBackward, c.buckets)
			}
			n.EndBatch()
		}
	}
}
