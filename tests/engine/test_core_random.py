import random

from assistant.wire import link
from tests.engine.desk import NEVER, Desk
from tests.engine.fakes import NOT_A_NUMBER
from tests.rounds import rounds


@rounds(30, 120)
def test_random_orders_are_each_answered_exactly_once(rounds: int) -> None:
    for seed in range(rounds):
        draw = random.Random(seed)
        desk = Desk(draw.randint(1, 3), draw.choice([4, NEVER]), prefill_chunk_tokens=16)
        num_appends = dict.fromkeys(range(4), 0)
        generations = dict.fromkeys(range(4), 0)
        for number in range(4):
            desk.order(link.Open(number, draw.choice(["none", "speech", "vision"])))
            desk.order(link.Mark(number, 1))
        for _ in range(draw.randint(5, 60)):
            number = draw.randrange(4)
            match draw.randrange(6):
                case 0 | 1:
                    content = draw.choice(["a", "hello", "x" * 40, NOT_A_NUMBER])
                    part: link.Part = link.TextPart(content)
                    if draw.random() < 0.3:
                        data = draw.choice([b"good", b"picture", b"bad", b"oom"])
                        part = link.ImagePart(data, max_crops=1)
                    num_appends[number] += 1
                    desk.order(link.Append(number, [part]))
                case 2 | 3:
                    generations[number] += 1
                    sampling = link.Sampling(max_tokens=draw.randint(1, 8))
                    guess = draw.random() < 0.4
                    desk.order(link.Generate(number, generations[number], sampling, guess))
                    if guess and draw.random() < 0.3:
                        desk.order(link.Promote(number, generations[number]))
                case 4:
                    kept = draw.randint(0, 4)
                    desk.order(link.Cancel(number, generations[number], kept))
                case 5 if draw.random() < 0.5:
                    desk.order(link.Mark(number, 1))
                case _:
                    desk.order(link.Rollback(number, 1))
            for _ in range(draw.randrange(4)):
                desk.step()
        # A guess may lack a row that nobody else needs; somebody has to want its reply.
        for number, last in generations.items():
            desk.order(*(link.Promote(number, n) for n in range(1, last + 1)))
        desk.run()
        for number in range(4):
            reports = desk.reports(number)
            ends = [
                report.generation
                for report in reports
                if isinstance(report, link.Finished | link.Failed)
                and report.generation is not None
            ]
            assert sorted(ends) == list(range(1, generations[number] + 1))
            answers = [
                report
                for report in reports
                if isinstance(report, link.Appended)
                or (isinstance(report, link.Failed) and report.generation is None)
            ]
            assert len(answers) == num_appends[number]
