package simd

import (
	"slices"
	"strings"
	"testing"
)

func TestSelect(t *testing.T) {
	sets := Available()
	if sets[len(sets)-1] != Generic {
		t.Errorf("the last of %v is not %q, which always runs", sets, Generic)
	}
	if best, err := Select(""); err != nil || best != sets[0] {
		t.Errorf("Select of no name is %q, %v, want %q", best, err, sets[0])
	}
	for _, s := range sets {
		if got, err := Select(string(s)); err != nil || got != s {
			t.Errorf("Select(%q) = %q, %v", s, got, err)
		}
	}
	_, err := Select("mmx")
	if err == nil || !strings.Contains(err.Error(), `"mmx"`) || !strings.Contains(err.Error(), string(Generic)) {
		t.Errorf("Select(mmx) fails with %v, want the name and what there is", err)
	}
	if slices.Contains(sets, "") {
		t.Errorf("a set without a name in %v", sets)
	}
}
