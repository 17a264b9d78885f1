package setting

import "fmt"

// sides is padding: four fields for what is added above and at the left, and for what is added below and at the right in
// addition to that.
type sides struct {
	h, w           *int
	extraH, extraW *int
	in             Interval
}

// Sides binds the padding of an image. Recipes give one number for all sides, a list of two, [height, width], or a list
// of four, [top, left, bottom, right]. h and w get the padding above and at the left; extraH and extraW get what the
// padding below and at the right has in addition, which may be negative. All four numbers of a recipe are from 0.
func (l *List) Sides(h, w, extraH, extraW *int, key, doc string) *Setting {
	return l.add(key, doc, &sides{h, w, extraH, extraW, AtLeast(0)})
}

func (p *sides) set(v any) error {
	if err := tooLarge(v); err != nil {
		return err
	}
	numbers := [4]int{}
	list, ok := v.([]any)
	if !ok {
		list = []any{v, v}
	}
	if len(list) != 2 && len(list) != 4 {
		return errMismatch
	}
	for i, e := range list {
		if numbers[i], ok = toInt(e, p.in); !ok {
			return errMismatch
		}
	}
	if len(list) == 2 {
		numbers[2], numbers[3] = numbers[0], numbers[1]
	}
	*p.h, *p.w, *p.extraH, *p.extraW = numbers[0], numbers[1], numbers[2]-numbers[0], numbers[3]-numbers[1]
	return nil
}

func (p *sides) want() string {
	return p.in.whole() + ", a pair [height, width] or a list [top, left, bottom, right]"
}

func (p *sides) check() error {
	for _, n := range p.all() {
		if !p.in.Contains(float64(n)) || n > maxInt {
			return fmt.Errorf("is %v (top, left, bottom, right), needs whole numbers from 0 to %d", p.all(), maxInt)
		}
	}
	return nil
}

// all returns the padding above, at the left, below and at the right.
func (p *sides) all() [4]int { return [4]int{*p.h, *p.w, *p.h + *p.extraH, *p.w + *p.extraW} }

func (p *sides) isZero() bool        { return p.all() == [4]int{} }
func (p *sides) setDefault()         {}
func (p *sides) isDefault() bool     { return p.isZero() }
func (p *sides) defaultText() string { return "0" }

func (p *sides) text() any {
	if *p.extraH == 0 && *p.extraW == 0 {
		return size{*p.h, *p.w}
	}
	return p.all()
}
