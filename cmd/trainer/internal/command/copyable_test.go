package command

import "testing"

func TestCommandsCanBeCopied(t *testing.T) {
	for _, c := range []struct {
		name      string
		arguments []string
		settings  []string
		want      string
	}{
		{"", nil, nil, "trainer"},
		{"tune", []string{"-data", "mnist"}, []string{"optimizer.lr=1e-3..0.1"}, "trainer tune -data mnist -set optimizer.lr=1e-3..0.1"},
		{"", []string{"-data", "my pictures/it's"}, []string{"data.size=[32, 32]"}, `trainer -data 'my pictures/it'\''s' -set 'data.size=[32, 32]'`},
		{"", []string{"-data", "a;rm -r b", "-recipe", "$(x)`y`"}, nil, "trainer -data 'a;rm -r b' -recipe '$(x)`y`'"},
		{"", []string{"-recipe", ""}, nil, "trainer -recipe ''"},
	} {
		if got := commandLine(c.name, c.arguments, c.settings...); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}
