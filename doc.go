// Package fprom reports sales to FirstPromoter, so that the promoter who brought a customer is paid.
package fprom
