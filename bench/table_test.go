//go:build linux

package bench

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// table prints rows of aligned cells below the name of the benchmark. The first row has the heads of the columns.
func table(b *testing.B, note string, rows [][]string) {
	b.Helper()
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t\n", strings.Join(r, "\t"))
	}
	w.Flush()
	b.ReportMetric(0, "ns/op") // the table has the figures
	fmt.Fprintf(os.Stdout, "\n%s\n%s; load %s\n%s", b.Name(), note, loadAverage(), out.String())
}

// metric reports a figure under a name without spaces, for tools that compare runs.
func metric(b *testing.B, value float64, words ...string) {
	b.Helper()
	b.ReportMetric(value, strings.NewReplacer(" ", "-", ",", "").Replace(strings.Join(words, "/")))
}

// loadAverage says how busy the machine was in the last minute: more than the benchmark itself keeps busy, and the figures
// are worth little.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(b), " ")
	return first
}

// machine says what the figures of dir's file system depend on: on tmpfs an fsync costs nothing.
func machine(b *testing.B, dir string) string {
	b.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		b.Fatal(err)
	}
	names := map[uint64]string{0xef53: "ext4", 0x58465342: "xfs", 0x9123683e: "btrfs", 0x01021994: "tmpfs", 0x794c7630: "overlay"}
	name, ok := names[uint64(s.Type)]
	if !ok {
		name = "unknown"
	}
	return fmt.Sprintf("file system %s (%#x), %d CPUs, %s", name, s.Type, runtime.NumCPU(), runtime.Version())
}

// dist is how long each operation took, sorted.
type dist []time.Duration

func distOf(ds ...[]time.Duration) dist {
	all := slices.Concat(ds...)
	slices.Sort(all)
	return all
}

// at is the quantile p of d, 1 the longest.
func (d dist) at(p float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	return d[min(int(p*float64(len(d))), len(d)-1)]
}

func (d dist) longerThan(limit time.Duration) int {
	i, _ := slices.BinarySearch(d, limit+1)
	return len(d) - i
}

// middle is the median.
func middle(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// against is the median of the ratios of what was measured in the same round.
func against(v, floor []float64) float64 {
	r := make([]float64, len(v))
	for i := range v {
		r[i] = v[i] / floor[i]
	}
	return middle(r)
}

// thousands is n as people read it: 1,000,000.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// dash is x, or a dash for what was not measured.
func dash(x float64) string {
	if x == 0 {
		return "–"
	}
	return whole(x)
}

func percent(x float64) string { return fmt.Sprintf("%.0f %%", 100*x) }
func whole(x float64) string   { return fmt.Sprintf("%.0f", x) }
func micros(d time.Duration) string {
	return fmt.Sprintf("%.1f µs", float64(d.Nanoseconds())/1e3)
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d.Nanoseconds())/1e6)
}

// pick is the size that a benchmark uses, and the smaller one with -short.
func pick[T any](full, short T) T {
	if testing.Short() {
		return short
	}
	return full
}
