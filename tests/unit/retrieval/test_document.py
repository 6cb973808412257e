"""What is indexed of an item does not depend on how it was kept."""

from context.v1 import knowledge_pb2, types_pb2
from context_retrieval.document import from_change, sections
from tests.support import items

OPTIONS = {"Use RDS": "Less to run.", "MySQL": "Known.", "Own servers": "Cheap."}
DECIDED = types_pb2.MeetingDecision(
    decision="Ship it.", rationale="It is due.", action_items=[types_pb2.ActionItem(task="Tell", owner="ada")]
)


def test_the_order_in_which_the_database_keeps_names_changes_no_text() -> None:
    for item in (
        items.adr(id="ADR-001", options_considered=OPTIONS),
        items.meeting(id="MEET-001", decisions=[DECIDED]),
    ):
        document = from_change(knowledge_pb2.Change(namespace="web", item_id=item.id, item=item))
        texts = [section.text for section in sections(document)]
        for value in document.payload.values():
            for inner in value if isinstance(value, list) else [value]:
                if isinstance(inner, dict):
                    turned = sorted(inner.items(), key=lambda pair: (len(pair[0]), pair[0]), reverse=True)
                    inner.clear()
                    inner.update(turned)
        assert [section.text for section in sections(document)] == texts
    assert texts[0].startswith("decision: Ship it.")
