"""Files in both directions: attached by people, uploaded by the bot."""

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from local_slack import LocalSlack
from local_slack.tests.refusals import refused


async def test_a_persons_file_is_downloaded_with_the_token_only(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    ts = await slack.user("alice").says("#general", "see", files={"notes.txt": b"some notes"})
    [message] = slack.thread("#general", ts)
    assert message.subtype == "file_share"
    file = (await client.files_info(file=message.file_ids[0]))["file"]
    assert (file["name"], file["mimetype"], file["size"]) == ("notes.txt", "text/plain", 10)

    async with aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {slack.bot_token}"}
        async with session.get(file["url_private_download"], headers=headers) as response:
            assert await response.read() == b"some notes"
        async with session.get(file["url_private"]) as response:
            assert response.status == 200
            assert response.content_type == "text/html"


async def test_the_sdk_uploads_a_file_into_a_thread(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    general = slack.channel("#general").id
    ts = await slack.user("alice").says("#general", "draw it")
    answer = await client.files_upload_v2(
        channel=general,
        thread_ts=ts,
        filename="drawing.svg",
        content="<svg/>",
        title="Drawing",
        initial_comment="Here",
    )
    [reply] = slack.replies("#general", ts)
    assert (reply.text, reply.subtype) == ("Here", "file_share")
    file = slack.workspace.files[reply.file_ids[0]]
    assert (file.title, file.content) == ("Drawing", b"<svg/>")
    assert answer["file"]["id"] == file.id
    assert file.shares == [[general, reply.ts]]


async def test_an_upload_must_be_made_before_it_is_completed(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    general = slack.channel("#general").id
    ticket = await client.files_getUploadURLExternal(filename="a.txt", length=3)
    with refused("file_not_found"):
        await client.files_completeUploadExternal(
            files=[{"id": ticket["file_id"], "title": "a"}], channel_id=general
        )
    async with (
        aiohttp.ClientSession() as session,
        session.post(ticket["upload_url"], data=b"too long") as response,
    ):
        assert response.status == 400
    with refused("missing_argument"):
        await client.files_getUploadURLExternal(filename="a.txt", length=0)
    with refused("file_not_found"):
        await client.files_info(file=ticket["file_id"])


async def test_an_upload_goes_only_where_the_bot_is(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    elsewhere = slack.add_channel("elsewhere", ["alice"], bot=False)
    ticket = await client.files_getUploadURLExternal(filename="a.txt", length=3)
    async with (
        aiohttp.ClientSession() as session,
        session.post(ticket["upload_url"], data=b"abc") as response,
    ):
        assert await response.text() == "OK - 3"
    with refused("not_in_channel"):
        await client.files_completeUploadExternal(
            files=[{"id": ticket["file_id"], "title": "a"}], channel_id=elsewhere.id
        )
