"""The table of the applier's rules says what the tests say."""

from tests import rules


def test_the_table_is_up_to_date():
    """After a change of tests: `python -m tests.rules`."""
    assert rules.TABLE.read_text() == rules.table()


def test_every_rule_is_proven_by_a_test():
    assert [rule for rule, tests in rules.proofs().items() if not tests] == []


def test_ids_are_those_of_the_rules_alone():
    tree = rules.ast.parse(
        'def test_a(): "I6, Q2: both."\n'
        'def test_b(): "A01, D9: the first is no rule."\n'
        'def test_c(): "It names I6 in passing."\n'
        "def test_of_it_rules_d8_f3(): ...\n"
        "def test_with_a_v1(): ...\n"
    )

    assert [rules.ids_of(test) for test in rules.tests_of(tree)] == [["I6", "Q2"], ["D9"], [], ["D8", "F3"], []]
