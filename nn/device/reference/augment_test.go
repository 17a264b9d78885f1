package reference

import "testing"

func TestReflect(t *testing.T) {
	for i, want := range map[int]int{-3: 3, -1: 1, 0: 0, 3: 3, 4: 2, 6: 0} {
		if got := reflect(i, 4); got != want {
			t.Errorf("reflect(%d, 4) is %d, want %d", i, got, want)
		}
	}
}
