package setting

import "fmt"

// word is a string that stands in for a value. It sets the flag, or is a constant of the list.
type word struct {
	text string
	flag *bool
}

// OrFlag lets recipes give the word in place of a value, which sets the flag. A figure that shows the setting then
// has the word.
func (s *Setting) OrFlag(text string, flag *bool) *Setting {
	s.words = append(s.words, word{text, flag})
	return s
}

// OrConstant lets recipes give the word in place of a number. It stands for a number that the reader of the
// recipe knows, such as that of the classes (see [Edit]).
func (s *Setting) OrConstant(text string) *Setting {
	s.words = append(s.words, word{text, nil})
	return s
}

// setWord stores what the word stands for.
func (s *Setting) setWord(w word) error {
	if w.flag != nil {
		*w.flag = true
		return nil
	}
	n, ok := s.list.constants[w.text]
	if !ok {
		return fmt.Errorf("%s is not known here", w.text)
	}
	return s.Set(int64(n))
}

// alternatives ends a message about a value with the words that can stand in.
func (s *Setting) alternatives() string {
	text := ""
	for _, w := range s.words {
		text += fmt.Sprintf(" or %q", w.text)
	}
	return text
}
