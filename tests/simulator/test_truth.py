"""The rules of the simulated market, each seen alone."""

import polars as pl

from leadgate.simulator.truth import true_probability

USUAL = {
    "company_size": 100,
    "engagement_score": 60.0,
    "website_visits": 3,
    "email_opens": 3,
    "industry": "Software",
    "region": "North America",
    "lead_source": "Website form",
    "job_title": "Manager",
    "has_budget": True,
}


def probability(**values: object) -> float:
    leads = pl.DataFrame([{**USUAL, **values}], schema_overrides={"has_budget": pl.Boolean})
    return float(true_probability(leads)[0])


def test_the_size_that_fits_depends_on_the_industry() -> None:
    """Small software companies buy and large ones do not; with manufacturers it is the other way round."""
    assert probability(company_size=50) > probability(company_size=5000)
    assert probability(company_size=50, industry="Manufacturing") < probability(
        company_size=1000, industry="Manufacturing"
    )
    assert probability(company_size=50) > probability(company_size=1)


def test_engagement_counts_where_it_is_meant() -> None:
    """From the website it multiplies the odds; after a trade show it hardly moves them."""
    web = probability(engagement_score=90.0) / probability(engagement_score=30.0)
    fair = probability(engagement_score=90.0, lead_source="Trade show") / probability(
        engagement_score=30.0, lead_source="Trade show"
    )
    assert web > 2 > fair > 1


def test_the_chief_decides_in_a_small_company_and_the_director_in_a_large_one() -> None:
    """Titles change their rank with the size."""
    assert probability(company_size=10, job_title="C-level") > probability(company_size=10, job_title="Director")
    assert probability(company_size=2000, job_title="C-level") < probability(company_size=2000, job_title="Director")


def test_budget_helps_who_looks_and_its_absence_in_the_crm_is_a_sign() -> None:
    """Yes with visits beats yes without by more than the visits do; not asked is worse than the mean of the answers."""
    assert probability(website_visits=4) > 1.2 * probability(website_visits=3)
    assert probability(website_visits=4, has_budget=False) < 1.1 * probability(website_visits=3, has_budget=False)
    assert probability(has_budget=None) < (probability(has_budget=False) + probability(has_budget=True)) / 2


def test_mails_opened_by_a_scanner_are_no_interest() -> None:
    """Many opened mails without a visit lower the odds, with visits they do not."""
    assert probability(email_opens=8, website_visits=0) < probability(email_opens=2, website_visits=0)
    assert probability(email_opens=8) == probability(email_opens=2)
