package fpromtest_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/fprom-go/fprom/fpromtest"
)

const (
	notFound = `{"message":"Referral corresponding to email or uid parameter not found or promoter is banned.","code":"not_found"}`
	amount   = `{"message":"Error. Amount blank or invalid."}`
	blank    = `{"message":"Error. Email and uid can not be blank!"}`
	visitor  = `{"message":"Visitor  invalid, not found or you are trying to use the signup tracking test via API which doesn't work on API calls."}`
	signedUp = `{"transaction_id":"there is already a signup event registered on this lead"}`
)

// step is one request; want is a part of the JSON answer, or empty for an answer without a body.
type step struct {
	path, body string
	status     int
	want       string
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	lead := func(s *fpromtest.Server) { s.AddLead("jane@example.com", "u_1") }
	tests := []struct {
		name        string
		opts        []fpromtest.Option
		setup       func(s *fpromtest.Server)
		steps       []step
		commissions []int64
	}{
		{"a sale of a lead", nil, lead, []step{
			{
				"/sale", `{"email":"jane@example.com","event_id":"1","amount":2000,"plan":"pro","currency":"eur"}`, 200,
				`{"etype":"sale","sale_amount":2000,"original_sale_amount":2000,"original_sale_currency":"eur","event_id":"1","plan_id":"pro",
				"referral":{"email":"jane@example.com","uid":"u_1"},
				"commissions":[{"status":"approved","amount":400,"sale_amount":2000,"unit":"cash","tier":1,"event_id":"1","is_paid":false,
				"promoter_campaign":{"promoter":{"email":"ada@promoters.example"}}}]}`,
			},
			{"/sale", `{"uid":"u_1","event_id":"2","amount":1999}`, 200, `{"commissions":[{"amount":399}],"original_sale_currency":null}`},
			{"/sale", `{"email":"JANE@Example.com","event_id":"3","amount":1}`, 200, `{"commissions":[{"amount":0}]}`},
		}, []int64{400, 399, 0}},
		{"an unknown lead", nil, nil, []step{{"/sale", `{"email":"joe@example.com","event_id":"1","amount":1}`, 404, notFound}}, nil},
		{"an event id twice", nil, lead, []step{
			{"/sale", `{"email":"jane@example.com","event_id":"1","amount":1000}`, 200, `{}`},
			{"/sale", `{"email":"jane@example.com","event_id":"1","amount":1000}`, 409, `{"message":"The 'sale' event with the id '1' already exists."}`},
			{"/sale", `{"email":"joe@example.com","event_id":"1","amount":1000}`, 409, `{"message":"The 'sale' event with the id '1' already exists."}`},
			{"/refund", `{"email":"jane@example.com","event_id":"1","amount":"500"}`, 200, `{"type":"refund"}`},
			{"/refund", `{"email":"jane@example.com","event_id":"1","amount":"500"}`, 409, `{"message":"The 'refund' event with the id '1' already exists."}`},
		}, []int64{200, -100}},
		{"an unknown sale leaves its id free", nil, nil, []step{
			{"/sale", `{"email":"joe@example.com","event_id":"1","amount":100}`, 404, notFound},
			{"/sale", `{"email":"joe@example.com","event_id":"1","amount":100,"ref_id":"ada"}`, 200, `{"etype":"sale"}`},
		}, []int64{20}},
		{"a visitor, a referral id and a promo code create the lead", nil, func(s *fpromtest.Server) {
			s.AddVisitor("tid_1")
			s.AddPromoCode("SPRING")
			s.AddPromoter("ben")
		}, []step{
			{"/sale", `{"email":"a@example.com","event_id":"1","amount":100,"tid":"tid_1"}`, 200, `{"referral":{"email":"a@example.com","uid":null}}`},
			{"/sale", `{"email":"b@example.com","event_id":"2","amount":100,"ref_id":"ben"}`, 200, `{"commissions":[{"promoter_campaign":{"promoter":{"name":"Promoter ben"}}}]}`},
			{"/sale", `{"uid":"u_3","event_id":"3","amount":100,"promo_code":"spring"}`, 200, `{"referral":{"email":null,"uid":"u_3"}}`},
			{"/sale", `{"email":"a@example.com","event_id":"4","amount":100}`, 200, `{}`},
			{"/sale", `{"email":"d@example.com","event_id":"5","amount":100,"tid":"tid_2","ref_id":"carl","promo_code":"autumn"}`, 404, notFound},
		}, []int64{20, 20, 20, 20}},
		{"a banned promoter", nil, func(s *fpromtest.Server) {
			s.AddLead("jane@example.com")
			s.AddVisitor("tid_1")
			s.Promoter().Ban()
		}, []step{
			{"/sale", `{"email":"jane@example.com","event_id":"1","amount":100}`, 404, notFound},
			{"/sale", `{"email":"joe@example.com","event_id":"1","amount":100,"tid":"tid_1"}`, 404, notFound},
			{"/refund", `{"email":"jane@example.com","event_id":"1","amount":"100"}`, 404, notFound},
			{"/signup", `{"email":"joe@example.com","tid":"tid_1"}`, 404, visitor},
		}, nil},
		{"refunds", nil, lead, []step{
			{"/refund", `{"email":"jane@example.com","event_id":"r1","amount":"100"}`, 204, ""},
			{"/sale", `{"email":"jane@example.com","event_id":"1","amount":1000}`, 200, `{}`},
			{
				"/refund", `{"email":"jane@example.com","event_id":"r1","amount":"1000","sale_event_id":"1","quantity":"2"}`, 200,
				`{"type":"refund","amount_cents":-1000,"reward":{"amount":-200,"conversion_amount":-1000,"event_id":"r1","tier_level":1},
				"lead":{"email":"jane@example.com","state":"active"},"promoter":{"default_ref_id":"ada"}}`,
			},
			{"/refund", `{"email":"jane@example.com","event_id":"r2","amount":155}`, 200, `{"amount_cents":-155,"reward":{"amount":-31}}`},
			{"/refund", `{"email":"jane@example.com","event_id":"r3","amount":"100","sale_event_id":"other"}`, 204, ""},
			{"/refund", `{"email":"joe@example.com","event_id":"r4","amount":"100"}`, 404, notFound},
			{"/refund", `{"email":"jane@example.com","event_id":"r5"}`, 400, amount},
			{"/refund", `{"email":"jane@example.com","event_id":"r5","amount":"-5"}`, 400, amount},
		}, []int64{200, -200, -31}},
		{"sign-ups", nil, func(s *fpromtest.Server) { s.AddVisitor("tid_1") }, []step{
			{
				"/signup", `{"email":"jane@example.com","uid":"u_1","tid":"tid_1"}`, 200,
				`{"etype":"signup","sale_amount":null,"event_id":null,"commissions":[],"referral":{"email":"jane@example.com","uid":"u_1"}}`,
			},
			{"/signup", `{"email":"jane@example.com","tid":"tid_1"}`, 422, signedUp},
			{"/signup", `{"uid":"u_1","tid":"tid_1"}`, 422, signedUp},
			{"/signup", `{"email":"joe@example.com","tid":"tid_2"}`, 404, visitor},
			{"/signup", `{"email":"joe@example.com"}`, 404, visitor},
			{"/signup", `{"email":"joe@example.com","ref_id":"ada"}`, 200, `{"etype":"signup"}`},
			{"/signup", `{"tid":"tid_1"}`, 400, blank},
			{"/sale", `{"email":"jane@example.com","event_id":"1","amount":100}`, 200, `{"etype":"sale"}`},
			{"/sale", `{"email":"new@example.com","event_id":"2","amount":100,"tid":"tid_1"}`, 200, `{}`},
			{"/signup", `{"email":"new@example.com","tid":"tid_1"}`, 200, `{"etype":"signup"}`},
		}, []int64{20, 20}},
		{"a lead of AddLead has signed up", nil, lead, []step{{"/signup", `{"email":"jane@example.com","ref_id":"ada"}`, 422, signedUp}}, nil},
		{"cancellations", nil, lead, []step{
			{"/cancellation", `{"email":"jane@example.com"}`, 200, `{"type":"cancellation","amount_cents":null,"reward":null,
				"lead":{"email":"jane@example.com","state":"cancelled"},"promoter":{"status":"active","temp_password":"` + fpromtest.PromoterSecret + `-password"}}`},
			{"/cancellation", `{"uid":"u_1"}`, 200, `{"type":"cancellation"}`},
			{"/cancellation", `{}`, 400, blank},
			{"/cancellation", `{"email":"joe@example.com"}`, 404, notFound},
		}, nil},
		{"wrong events", nil, lead, []step{
			{"/sale", `{"event_id":"1","amount":100}`, 400, blank},
			{"/sale", `{"email":"","uid":"","event_id":"1","amount":100}`, 400, blank},
			{"/sale", `{"email":7,"event_id":"1","amount":100}`, 400, blank},
			{"/sale", `null`, 400, blank},
			{"/sale", `{"email":"jane@example.com","amount":100}`, 400, `{"message":"Error. Event id blank or invalid."}`},
			{"/sale", `{"email":"jane@example.com","event_id":" ","amount":100}`, 400, `{"message":"Error. Event id blank or invalid."}`},
			{"/sale", `{"email":" ","event_id":"1","amount":100}`, 400, blank},
			{"/sale", `{"Email":"jane@example.com","event_id":"1","amount":100}`, 400, blank},
			{"/sale", `{"email":"jane@example.com","event_id":"1","Amount":100}`, 400, amount},
			{"/sale", `{"email":"jane@example.com","event_id":"1"}`, 400, amount},
			{"/sale", `{"email":"jane@example.com","event_id":"1","amount":null}`, 400, amount},
			{"/sale", `{"email":"jane@example.com","event_id":"1","amount":0}`, 400, amount},
			{"/sale", `{"email":"jane@example.com","event_id":"1","amount":-100}`, 400, amount},
			{"/sale", `{"email":"jane@example.com","event_id":"1","amount":19.99}`, 400, amount},
			{"/sale", `{"email":"jane@example.com","event_id":"1","amount":"1999"}`, 400, amount},
			{"/sale", `{"email":"jane@example.com","event_id":"1","amount":"19,99"}`, 400, amount},
			{"/sale", `{"email":"jane@example.com","event_id":"1","amount":99999999999999999999}`, 400, amount},
			{"/sale", `{"email":"jane@example.com","event_id":"1","amount":100`, 400, `{"message":"Error. The request body is not valid JSON."}`},
			{"/sale", ``, 400, `{"message":"Error. The request body is not valid JSON."}`},
			{"/sale", `[]`, 400, `{"message":"Error. The request body is not valid JSON."}`},
		}, nil},
		{"every customer a lead", []fpromtest.Option{fpromtest.WithAllLeads()}, nil, []step{
			{"/sale", `{"email":"jane@example.com","event_id":"1","amount":100}`, 200, `{}`},
			{"/refund", `{"email":"joe@example.com","event_id":"1","amount":"100"}`, 204, ""},
			{"/signup", `{"email":"ann@example.com","tid":"whatever"}`, 200, `{"etype":"signup"}`},
			{"/cancellation", `{"email":"bob@example.com"}`, 200, `{}`},
		}, []int64{20}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := fpromtest.NewServer(t, tt.opts...)
			if tt.setup != nil {
				tt.setup(s)
			}
			for _, st := range tt.steps {
				check(t, post(t, s, st.path, st.body), st)
			}
			var got []int64
			for _, c := range s.Commissions() {
				got = append(got, c.Amount)
			}
			if !slices.Equal(got, tt.commissions) {
				t.Errorf("commissions %v, want %v", got, tt.commissions)
			}
		})
	}
}

func check(t *testing.T, a answer, st step) {
	t.Helper()
	if a.status != st.status {
		t.Errorf("POST %s %s: status %d, want %d: %s", st.path, st.body, a.status, st.status, a.body)
		return
	}
	if st.want == "" {
		if a.body != "" {
			t.Errorf("POST %s %s: body %q, want none", st.path, st.body, a.body)
		}
		return
	}
	if ct := a.header.Get("Content-Type"); ct != "application/json; charset=utf-8" {
		t.Errorf("POST %s %s: Content-Type %q", st.path, st.body, ct)
	}
	if !contains(parse(t, a.body), parse(t, st.want)) {
		t.Errorf("POST %s %s: %s, want %s", st.path, st.body, a.body, st.want)
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	const sale = `{"email":"jane@example.com","event_id":"1","amount":100}`
	tests := []struct {
		name   string
		change func(r *http.Request)
		status int
		body   string // the beginning of it; "-": none
	}{
		{"as documented", func(*http.Request) {}, 200, "{"},
		{"no key", func(r *http.Request) { r.Header.Del("Authorization") }, 401, "-"},
		{"a wrong key", func(r *http.Request) { r.Header.Set("Authorization", "Bearer nonsense") }, 401, "-"},
		{"the key without Bearer", func(r *http.Request) {
			r.Header.Set("Authorization", strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		}, 401, "-"},
		{"no account", func(r *http.Request) { r.Header.Del("Account-ID") }, 403, `{"code":"forbidden",`},
		{"another account", func(r *http.Request) { r.Header.Set("Account-ID", "nonsense") }, 403, `{"code":"forbidden",`},
		{"GET", func(r *http.Request) { r.Method = http.MethodGet }, 404, "<!DOCTYPE html>"},
		{"PUT", func(r *http.Request) { r.Method = http.MethodPut }, 404, "<!DOCTYPE html>"},
		{"an unknown kind", func(r *http.Request) { r.URL.Path = "/api/v2/track/sales" }, 404, "<!DOCTYPE html>"},
		{"a path below a kind", func(r *http.Request) { r.URL.Path = "/api/v2/track/sale/" }, 404, "<!DOCTYPE html>"},
		{"another version", func(r *http.Request) { r.URL.Path = "/api/v1/track/sale" }, 404, "<!DOCTYPE html>"},
		{"no JSON type", func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 400, blank},
		{"no type", func(r *http.Request) { r.Header.Del("Content-Type") }, 400, blank},
		{"a type with parameters", func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=utf-8") }, 200, "{"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, opts := range [][]fpromtest.Option{nil, {fpromtest.InMemory()}} {
				s := fpromtest.NewServer(t, opts...)
				s.AddLead("jane@example.com")
				req := newRequest(t, s, "/sale", sale)
				tt.change(req)
				a, err := do(t, s, req)
				if err != nil {
					t.Fatal(err)
				}
				if a.status != tt.status || !strings.HasPrefix(a.body, strings.Trim(tt.body, "-")) || tt.body == "-" && a.body != "" {
					t.Errorf("%d %q, want %d and %s", a.status, a.body, tt.status, tt.body)
				}
				if accepted := len(s.Accepted()); (accepted == 1) != (tt.status == 200) {
					t.Errorf("%d requests accepted", accepted)
				}
			}
		})
	}
}

// TestShape compares the members of the answers with those of the documentation's examples.
func TestShape(t *testing.T) {
	t.Parallel()
	s := fpromtest.NewServer(t)
	s.AddLead("jane@example.com")
	sale := parse(t, post(t, s, "/sale", `{"email":"jane@example.com","event_id":"1","amount":100}`).body)
	refund := parse(t, post(t, s, "/refund", `{"email":"jane@example.com","event_id":"1","amount":"100"}`).body)
	commission := at(sale, "commissions").([]any)[0]
	tests := []struct {
		name string
		got  any
		want string
	}{
		{"sale", sale, "billing_period commissions created_at etype event_id id original_sale_amount original_sale_currency plan_id referral sale_amount"},
		{"commission", commission, "amount commission_type created_at created_by_user_at created_by_user_email event_id external_note fraud_check id " +
			"internal_note is_paid is_self_referral is_split metadata original_sale_amount original_sale_currency plan_id promoter_campaign referral " +
			"reward sale_amount status status_updated_at tier unit"},
		{"campaign", at(commission, "promoter_campaign"), "campaign campaign_id created_at id promoter promoter_id"},
		{"refund", refund, "amount_cents id lead promoter reward type"},
		{"reward", at(refund, "reward"), "amount conversion_amount created_at event_id id lead split_type status tier_level unit"},
		{"lead", at(refund, "lead"), "cancelled_at created_at custom_fields customer_since email id plan_name split_percentage_value " +
			"split_promotion_id state suspicion uid username visitor_sub_id website"},
		{"promoter", at(refund, "promoter"), "auth_token created_at current_balance cust_id default_promotion_id default_ref_id earnings_balance email id " +
			"note paid_balance parent_promoter_id pref status temp_password w8_form_url w9_form_url"},
	}
	for _, tt := range tests {
		if got := strings.Join(slices.Sorted(maps.Keys(tt.got.(map[string]any))), " "); got != tt.want {
			t.Errorf("%s has the members\n%s, want\n%s", tt.name, got, tt.want)
		}
	}
}

func at(v any, name string) any { return v.(map[string]any)[name] }
