package command

import (
	"slices"
	"strconv"
	"strings"

	"trainer/cmd/trainer/internal/figure"
	"trainer/nn/folder"
	"trainer/nn/printable"
)

// classNamesFile says which number stands for which class.
const classNamesFile = "classes.txt"

// namesInFigures returns the names of the classes or, if a PNG figure can't show one of them because neither its own font
// nor one of the system has the characters, numbers; a file in the folder then says which number is which, and a line on
// the terminal says where.
func (p *program) namesInFigures(classes []string, format string, dir *folder.Folder) ([]string, error) {
	at := slices.IndexFunc(classes, func(name string) bool { return !figure.Legible(name) })
	if format != "png" || at < 0 {
		return classes, nil
	}
	numbers := make([]string, len(classes))
	var legend strings.Builder
	for i, name := range classes {
		numbers[i] = strconv.Itoa(i)
		legend.WriteString(numbers[i] + "\t" + printable.Text(name) + "\n")
	}
	if err := dir.Write(classNamesFile, []byte(legend.String())); err != nil {
		return nil, err
	}
	p.note("no font on this system has the characters of the class %s, so a number stands for each class in PNG figures (listed in %s); -format svg shows the names",
		classes[at], dir.File(classNamesFile))
	return numbers, nil
}
