package setting

import "fmt"

// pair is two fields for a height and a width.
type pair struct {
	h, w     *int
	fallback int
	usual    *Setting // another pair, whose value is the default
	in       Interval
}

// Pair binds a height and a width: recipes give one number for both, or a list of two.
func (l *List) Pair(h, w *int, key string, fallback int, in Interval, doc string) *Setting {
	needsNonZero(key, float64(fallback), in)
	return l.add(key, doc, &pair{h: h, w: w, fallback: fallback, in: in})
}

// PairLike binds a height and a width whose default is the value of another pair.
func (l *List) PairLike(h, w *int, key string, usual *Setting, in Interval, doc string) *Setting {
	return l.add(key, doc, &pair{h: h, w: w, usual: usual, in: in})
}

func (p *pair) set(v any) error {
	if err := tooLarge(v); err != nil && p.in.high >= maxInt {
		return err
	}
	if n, ok := toInt(v, p.in); ok {
		*p.h, *p.w = n, n
		return nil
	}
	if list, ok := v.([]any); ok && len(list) == 2 {
		h, okH := toInt(list[0], p.in)
		w, okW := toInt(list[1], p.in)
		if okH && okW {
			*p.h, *p.w = h, w
			return nil
		}
	}
	return errMismatch
}

func (p *pair) want() string { return p.in.whole() + " or a pair [height, width]" }

func (p *pair) check() error {
	h, w := p.completed()
	if max(h, w) > maxInt && p.in.high >= maxInt {
		return fmt.Errorf("is %dx%d, needs at most %d in both directions", h, w, maxInt)
	}
	if !p.in.Contains(float64(h)) || !p.in.Contains(float64(w)) {
		return fmt.Errorf("is %dx%d, needs %s in both directions", h, w, p.in.whole())
	}
	return nil
}

// completed returns the pair with the default in place of zeros.
func (p *pair) completed() (h, w int) {
	h, w = p.fallback, p.fallback
	if p.usual != nil {
		h, w = p.usual.value.(*pair).completed()
	}
	if *p.h != 0 {
		h = *p.h
	}
	if *p.w != 0 {
		w = *p.w
	}
	return h, w
}

func (p *pair) isZero() bool { return *p.h == 0 && *p.w == 0 }

// setDefault replaces either direction that is zero.
func (p *pair) setDefault() { *p.h, *p.w = p.completed() }

func (p *pair) isDefault() bool {
	h, w := p.completed()
	other := pair{h: new(int), w: new(int), fallback: p.fallback, usual: p.usual}
	usualH, usualW := other.completed()
	return h == usualH && w == usualW
}

func (p *pair) defaultText() string {
	if p.usual != nil {
		return "as " + p.usual.Key
	}
	return fmt.Sprint(p.fallback)
}

func (p *pair) text() any {
	h, w := p.completed()
	return size{h, w}
}

// size is a pair as figures show it.
type size struct{ h, w int }

// Format writes 3×5, or with %d one number if both are equal.
func (s size) Format(f fmt.State, verb rune) {
	if verb == 'd' && s.h == s.w {
		fmt.Fprint(f, s.h)
		return
	}
	fmt.Fprintf(f, "%d×%d", s.h, s.w)
}
