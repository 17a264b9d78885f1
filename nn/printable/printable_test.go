package printable

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"":                "",
		"größer, 猫 🐈":     "größer, 猫 🐈",
		"a\u00a0b\u3000c": "a\u00a0b\u3000c",
		"\x1b[31mred\x07": `\u001b[31mred\u0007`,
		"a\nb\tc\rd\x00":  `a\nb\tc\rd\u0000`,
		"\u009b31m\x7f":   `\u009b31m\u007f`,
		"\xff\x80x":       `\xff\x80x`,
		"a\u202eb\u2028":  `a\u202eb\u2028`,
		"\U000e0001":      `\U000e0001`,
		"�":               "�",
		"back\\slash":     `back\slash`,
	} {
		if got := Text(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestWriter(t *testing.T) {
	const text = "a\x1b]0;title\x07 ü 猫\xff\u202e\t\n\u009b"
	const want = `a\u001b]0;title\u0007 ü 猫\xff\u202e` + "\t\n" + `\u009b`
	for size := 1; size <= len(text); size++ {
		var b bytes.Buffer
		w := Writer(&b)
		for rest := text; rest != ""; {
			part := rest[:min(size, len(rest))]
			if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
			rest = rest[len(part):]
		}
		if b.String() != want {
			t.Errorf("in pieces of %d: %q", size, b.String())
		}
	}
}

// JSON stays JSON, and means the same.
func TestWriterKeepsJSON(t *testing.T) {
	const text = "a\x1b\u009b\u202e\x7f\n\"\\"
	var b bytes.Buffer
	if err := json.NewEncoder(Writer(&b)).Encode(text); err != nil {
		t.Fatal(err)
	}
	var got string
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || got != text {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\x1b[31m\n\xff\u202e")
	f.Fuzz(func(t *testing.T, text string) {
		got := Text(text)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(c rune) bool { return c < ' ' || c >= 0x7f && c < 0xa0 }) || Text(got) != got {
			t.Errorf("%q became %q", text, got)
		}
	})
}
