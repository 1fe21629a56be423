package backfill

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fprom-go/fprom"
)

// Column is a column of a CSV file and its field; "" if the column is left out.
type Column struct{ Name, Field string }

// columns decides what each column of a header means. A line of JSONL may lack a column that Map names.
func (f Format) columns(header []string, mayLack bool) ([]field, error) {
	mapped, err := f.mapped(header, mayLack)
	if err != nil {
		return nil, err
	}
	allowed := fieldsOf(f.Kind)
	fields := make([]field, len(header))
	taken := map[field]string{}
	take := func(i int, is field) error {
		if other, ok := taken[is]; ok {
			if is == createdAtField { // it is only shown
				return nil
			}
			if other == header[i] {
				return headerError("%q is the name of several columns, and both are %s: rename the others", other, is)
			}
			return headerError("%q and %q are both %s: map the right one, such as --map '%s=%s'", other, header[i], is, other, is)
		}
		fields[i], taken[is] = is, header[i]
		return nil
	}
	settled := map[field]bool{} // fields that have their column already
	// Map goes first, then a field's own name, then its aliases.
	for _, know := range []func(i int, name string) field{
		func(i int, _ string) field { return mapped[i] },
		func(_ int, name string) field { return namedField(name) },
		func(_ int, name string) field { return aliases[plain(name)] },
	} {
		for i, name := range header {
			is := know(i, name)
			_, isMapped := mapped[i]
			if is == noField || fields[i] != noField || isMapped && mapped[i] != is || settled[is] || !slices.Contains(allowed, is) {
				continue
			}
			if err := take(i, is); err != nil {
				return nil, err
			}
		}
		for is := range taken {
			settled[is] = true
		}
		for _, to := range f.Map {
			settled[namedField(to)] = true
		}
	}
	return fields, f.complete(header, fields, taken)
}

// mapped returns the fields of Format.Map by the index of the column.
func (f Format) mapped(header []string, mayLack bool) (map[int]field, error) {
	mapped := map[int]field{}
	for name, to := range f.Map {
		same := func(h string) bool { return h == name }
		if !slices.ContainsFunc(header, same) {
			same = func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), strings.TrimSpace(name)) }
		}
		i := slices.IndexFunc(header, same)
		is := namedField(to)
		switch {
		case i >= 0 && slices.ContainsFunc(header[i+1:], same):
			return nil, headerError("%q is the name of several columns: rename them, since the map cannot tell them apart", header[i])
		case i < 0 && !mayLack:
			return nil, headerError("there is no column %q to map; the columns are %s", name, list(header))
		case to == "" || to == "-":
		case is == noField || !slices.Contains(fieldsOf(f.Kind), is):
			return nil, headerError("a %s has no field %q; it has %s", f.Kind, to, names(fieldsOf(f.Kind)))
		}
		if was, twice := mapped[i]; twice && was != is {
			return nil, headerError("the map maps one column to several fields: %q to %s", header[i], names([]field{was, is}))
		}
		if i >= 0 {
			mapped[i] = is
		}
	}
	return mapped, nil
}

// complete returns an error if a required column is missing.
func (f Format) complete(header []string, fields []field, taken map[field]string) error {
	for i, name := range header {
		if is := refused[plain(name)]; is != noField && fields[i] == noField && taken[is] == "" && slices.Contains(fieldsOf(f.Kind), is) {
			return headerError("%q is not the API's name: it is %s. Rename the column, or map it (--map '%s=%s')", name, is, name, is)
		}
	}
	needed := []field{eventIDField, amountField}
	if f.NeedDate {
		needed = append(needed, createdAtField)
	}
	for _, is := range needed {
		if slices.Contains(fieldsOf(f.Kind), is) && taken[is] == "" {
			return headerError("no column is %s. Rename one, or map it (--map 'COLUMN=%s'). The columns are %s", is, is, list(header))
		}
	}
	if taken[emailField] == "" && taken[uidField] == "" {
		return headerError("no column names the customer. Rename one to email or uid, or map it (--map 'COLUMN=email'). The columns are %s", list(header))
	}
	if f.Kind == fprom.KindSignup && taken[tidField] == "" && taken[refIDField] == "" {
		return headerError("no column is tid or ref_id, and a signup needs one of them. Rename one, or map it (--map 'COLUMN=ref_id'). The columns are %s", list(header))
	}
	return nil
}

// list names the columns. Without a header they are a row with a customer.
func list(header []string) string {
	quoted := make([]string, 0, 12)
	for i, h := range header {
		if i == 11 {
			quoted = append(quoted, "…")
			break
		}
		if h = fprom.MaskEmail(h); len(h) > 40 {
			h = strings.ToValidUTF8(h[:40], "") + "…"
		}
		quoted = append(quoted, `"`+h+`"`)
	}
	all := strings.Join(quoted, ", ")
	if strings.Contains(all, "@") {
		all += ": is the first line a row? A file needs a header"
	}
	if !utf8.ValidString(all) {
		all += ": the file is not UTF-8; save it as UTF-8"
	}
	return all
}

func names(fields []field) string {
	s := make([]string, len(fields))
	for i, f := range fields {
		s[i] = f.String()
	}
	return strings.Join(s, ", ")
}
