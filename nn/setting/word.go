package setting

import "fmt"

// word is a string that recipes may give in place of a value. It sets a flag, or names a constant of the list.
type word struct {
	text string
	flag *bool
}

// OrFlag lets recipes give the word in place of a value; the word sets the flag. Figures then show the word.
func (s *Setting) OrFlag(text string, flag *bool) *Setting {
	s.words = append(s.words, word{text, flag})
	return s
}

// OrConstant lets recipes give the word in place of a number. The word stands for a number that the reader of the
// recipe knows, such as the number of classes (see [Edit]).
func (s *Setting) OrConstant(text string) *Setting {
	s.words = append(s.words, word{text, nil})
	return s
}

// setWord stores the value that the word stands for.
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

// alternatives returns the end of a message about a value: the words that are valid in its place.
func (s *Setting) alternatives() string {
	text := ""
	for _, w := range s.words {
		text += fmt.Sprintf(" or %q", w.text)
	}
	return text
}
