package figure

import "testing"

func TestLegible(t *testing.T) {
	for text, want := range map[string]bool{"": true, "T-shirt/top": true, "Größe, κόσμος, мир": true, "猫": false, "cat 猫": false, "कुत्ता": false, "a\tb": false} {
		if got := Legible(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
